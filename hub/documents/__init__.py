"""The closed log as a document (PDF/A and PDF/UA), as an archive message, and as the package of both."""
