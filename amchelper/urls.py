"""All addresses: the home page, signing in, the admin and the apps."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from amchelper.views import SessionsView, admin_login, home

# What allauth answers to too many tries: signing in, passwords, second factors.
handler429 = "amchelper.views.too_many_tries"

urlpatterns = [
    path("", home, name="home"),
    path("", include("instances.urls")),
    # Before the templates: `templates/run-preview/` would read like a template's page.
    path("", include("schedules.urls")),
    path("", include("executions.urls")),
    path("", include("templates_app.urls")),
    # An administrator sets addresses: they are what people sign in with.
    path("accounts/email/", RedirectView.as_view(pattern_name="home")),
    path("accounts/sessions/", SessionsView.as_view(), name="usersessions_list"),
    path("accounts/", include("allauth.urls")),
    # One sign-in for everybody: rate limits and the second factor hold for the admin too.
    path("admin/login/", admin_login),
    path("admin/", admin.site.urls),
]
