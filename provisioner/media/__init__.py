"""Audio of calls: RTP, telephone events, prompts, and the process that relays and plays."""
