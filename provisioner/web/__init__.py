"""What IT staff see: pages, the JSON API, and health, by Flask behind the front."""
