"""What pages of ours share: the socket they listen at, and who may come in."""
