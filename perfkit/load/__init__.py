"""Load on a service over HTTP: made by Locust in processes of its own, measured and judged here."""
