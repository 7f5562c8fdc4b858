"""The report of a job: one page that needs no network; each figure has its file."""
