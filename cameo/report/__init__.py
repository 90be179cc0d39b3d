"""Show what an enrolment found and made: one HTML page that needs nothing else."""

from cameo.report.enrollment_page import write_report

__all__ = ["write_report"]
