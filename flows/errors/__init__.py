"""Classification of errors: soft or hard."""
