"""What every task shares; it never imports a task, and knows no pictures, class names or CSV files."""
