"""Who said it: voices told apart within a recording, without a network and without knowing anybody."""
