"""The app's addresses; everything that changes a task is a POST."""

from __future__ import annotations

from django.urls import path

from example.todo import views

app_name = "todo"
urlpatterns = [
    path("", views.tasks, name="tasks"),
    path("tasks/add/", views.add, name="add"),
    path("tasks/<int:pk>/complete/", views.complete, name="complete"),
    path("tasks/<int:pk>/rename/", views.rename, name="rename"),
    path("tasks/<int:pk>/delete/", views.delete, name="delete"),
    path("audit/", views.audit, name="audit"),
]
