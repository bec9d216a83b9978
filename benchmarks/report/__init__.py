"""What people read of a run: pages, pictures, tables in several formats, and the closing lines at the terminal."""
