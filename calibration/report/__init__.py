"""The agreement report: as data (`model`), made from columns (`build`), as text (`text`)."""
