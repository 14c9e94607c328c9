"""Ways a person, or a script standing in for one, commands the arm."""
