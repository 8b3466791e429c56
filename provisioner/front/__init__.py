"""The front: what phones and browsers talk to, over HTTP, HTTPS and TFTP."""
