"""How far a judge can be trusted: columns, reports, certificates, plans, comparisons."""
