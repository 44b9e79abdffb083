"""What is needed to run the pipeline somewhere: servers, their settings, packaging."""
