"""What a log says in texts, pictures, sounds and interactions: facts, and one page that shows them."""
