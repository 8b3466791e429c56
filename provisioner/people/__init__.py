"""Who uses the staff page: users, their passwords and second factors, and how many tries they have."""
