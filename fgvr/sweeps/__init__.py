"""Many runs: grids, compared rows, the processes that they run in, and the tables that they make."""
