"""What is installed on this machine: recognising weight files, adding models, the doctor."""
