"""What the control database remembers besides rows."""
