"""The process that tells of emergency calls by e-mail and webhook; no call waits for it."""
