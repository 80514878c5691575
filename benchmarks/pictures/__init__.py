"""Pictures of the README, drawn from results and real runs."""
