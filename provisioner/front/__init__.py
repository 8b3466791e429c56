"""What phones talk to: HTTP, HTTPS, TFTP; and the way to the staff page."""
