"""What is kept outside the appliance: backups, and the settings as one file."""
