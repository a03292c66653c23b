"""Addresses of connections, instances and health."""

from __future__ import annotations

from django.urls import path

from instances.views import checks, connections, discovery, health, instance_forms, instances, mappings

app_name = "instances"

urlpatterns = [
    path("connections/", connections.connection_list, name="connection-list"),
    path("connections/start/", connections.connection_start, name="connection-start"),
    path("connections/callback/", connections.connection_callback, name="connection-callback"),
    path("connections/paste/", connections.connection_paste, name="connection-paste"),
    path("connections/<uuid:pk>/", connections.connection_detail, name="connection-detail"),
    path("connections/<uuid:pk>/edit/", connections.connection_update, name="connection-update"),
    path("connections/<uuid:pk>/reconnect/", connections.connection_reconnect, name="connection-reconnect"),
    path("connections/<uuid:pk>/disconnect/", connections.connection_disconnect, name="connection-disconnect"),
    path("connections/<uuid:pk>/delete/", connections.connection_delete, name="connection-delete"),
    path("connections/<uuid:pk>/accounts/add/", connections.account_create, name="account-create"),
    path("connections/accounts/<uuid:pk>/delete/", connections.account_delete, name="account-delete"),
    path("connections/<uuid:pk>/discover/", discovery.connection_discover, name="connection-discover"),
    path("connections/<uuid:pk>/import/", discovery.connection_import, name="connection-import"),
    path("instances/", instances.instance_list, name="instance-list"),
    path("instances/add/", instance_forms.instance_create, name="instance-create"),
    path("instances/suggestions/", instances.instance_suggestions, name="instance-suggestions"),
    path("instances/brands/", instances.brand_list, name="brand-list"),
    path("instances/brands/suggestions/", instances.brand_suggestions, name="brand-suggestions"),
    path("instances/checks/", checks.check_create, name="check-create"),
    path("instances/checks/<uuid:pk>/", checks.check_detail, name="check-detail"),
    path("instances/<uuid:pk>/", instances.instance_detail, name="instance-detail"),
    path("instances/<uuid:pk>/edit/", instance_forms.instance_update, name="instance-update"),
    path("instances/<uuid:pk>/delete/", instances.instance_delete, name="instance-delete"),
    path("instances/<uuid:pk>/enable/", instances.instance_enable, name="instance-enable"),
    path("instances/<uuid:pk>/disable/", instances.instance_disable, name="instance-disable"),
    path("instances/<uuid:pk>/check/", checks.instance_check, name="instance-check"),
    path("instances/<uuid:pk>/mappings/", mappings.mapping_list, name="mapping-list"),
    path("instances/<uuid:pk>/mappings/add/", mappings.mapping_create, name="mapping-create"),
    path("instances/<uuid:pk>/mappings/replace/", mappings.mapping_replace, name="mapping-replace"),
    path("instances/<uuid:pk>/mappings/remove/", mappings.mapping_remove, name="mapping-remove"),
    path("instances/<uuid:pk>/mappings/export/", mappings.mapping_export, name="mapping-export"),
    path("health/", health.health_list, name="health-list"),
]
