"""What an attacker, a careless person or a broken machine may try, a test each: the name begins with the row's id."""
