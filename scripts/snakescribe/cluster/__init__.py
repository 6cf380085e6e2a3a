"""A Slurm cluster: what must hold before jobs are submitted, and the jobs that an ended run left behind."""
