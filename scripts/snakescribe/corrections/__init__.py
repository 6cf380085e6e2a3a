"""What people have put right: rows of their own that no run overwrites."""
