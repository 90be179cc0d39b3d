"""Show what an enrolment found and made: one HTML page that needs nothing else."""
