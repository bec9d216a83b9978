"""What is to be measured: cases, and the command line that chooses them."""
