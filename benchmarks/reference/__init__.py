"""What the documentation says of the code, made from the code: tables, a page for each op, its picture."""
