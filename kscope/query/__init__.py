"""A question becomes an answer: questions.py lists the questions, responses.py encodes answers."""
