"""The app's addresses; everything that changes a task is a POST."""

from __future__ import annotations

from django.urls import path

from example.todo import history_views, views

app_name = "todo"
urlpatterns = [
    path("", views.tasks, name="tasks"),
    path("tasks/add/", views.add, name="add"),
    path("tasks/<int:pk>/complete/", views.complete, name="complete"),
    path("tasks/<int:pk>/rename/", views.rename, name="rename"),
    path("tasks/<int:pk>/delete/", views.delete, name="delete"),
    path("tasks/complete-all/", views.complete_all, name="complete_all"),
    path("tasks/<int:pk>/history/", history_views.history, name="history"),
    path("audit/", history_views.audit, name="audit"),
    path("changes/<uuid:change_id>/revert/", history_views.revert_change, name="revert_change"),
    path("requests/<uuid:request_id>/revert/", history_views.revert_request, name="revert_request"),
]
