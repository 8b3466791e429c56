"""Emergency: where a phone is, in the form that an emergency call carries."""
