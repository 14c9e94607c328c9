"""Ways a person, or what stands in for one, commands the arm."""
