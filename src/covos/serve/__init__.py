"""The server of the page and of the HTTP API: jobs that are run, looked at, corrected and downloaded in a browser.

It stands on the plan, the job and the session, and adds no second way to run: `desk` holds the jobs, `workers` has the
processes that run them, `routes` says what the API answers.
"""
