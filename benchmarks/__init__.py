"""Speed and accuracy beside the peers, as whole processes; see README.md."""
