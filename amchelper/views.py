"""Views of the project itself."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse


@login_not_required
def admin_login(request: HttpRequest) -> HttpResponse:
    """Send to the one sign-in page; somebody signed in without the right is told so instead of going round."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for staff.")
    query = urlencode({"next": request.GET.get("next") or reverse("admin:index")})
    return HttpResponseRedirect(f"{reverse('account_login')}?{query}")
