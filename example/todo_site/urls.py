"""The site's addresses."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from example.todo.views import DemoLoginView

urlpatterns = [
    path("login/", DemoLoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("", include("example.todo.urls")),
]
