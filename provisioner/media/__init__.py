"""RTP, telephone events, prompts and the media plane."""
