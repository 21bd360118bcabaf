"""The configuration folder as frozen values, or every mistake in it with file, line and remedy."""

from hub.operate.settings.load import load_settings
from hub.operate.settings.model import (
    ArchiveFolder,
    Confirmed,
    ConnectionSettings,
    DatedRule,
    Environment,
    Grant,
    HubSettings,
    KeyServiceSettings,
    LogLevel,
    MailSettings,
    NotConfigured,
    Schedule,
    TenantSettings,
    Timeouts,
    UnitSettings,
)
from hub.operate.settings.reading import SettingsError

__all__ = [
    "ArchiveFolder",
    "Confirmed",
    "ConnectionSettings",
    "DatedRule",
    "Environment",
    "Grant",
    "HubSettings",
    "KeyServiceSettings",
    "LogLevel",
    "MailSettings",
    "NotConfigured",
    "Schedule",
    "SettingsError",
    "TenantSettings",
    "Timeouts",
    "UnitSettings",
    "load_settings",
]
