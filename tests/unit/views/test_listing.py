"""Small tables that are not about one run: what is a link in them, and what is not."""

import pytest

from flyte_nb.engine.backend import ClusterFacts
from flyte_nb.views.listing import Listing, cluster_listing


def shown(dashboard: str) -> str:
    """Return the HTML of a cluster with a dashboard at some address."""
    return cluster_listing(ClusterFacts("embedded", "tls://127.0.0.1:1", dashboard, 2, 2, 2**30))._repr_html_()


@pytest.mark.parametrize("address", ["/user/guest/proxy/8787/status", "http://127.0.0.1:8787/status", "https://hub.example/x?a=1"])
def test_a_dashboard_is_a_link_that_opens_beside_the_notebook(address: str) -> None:
    """Behind a hub's proxy it is a path of the notebook's own server."""
    assert f'<a href="{address}" target="_blank" rel="noopener">{address}</a>' in shown(address)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "//elsewhere/x", "/\\\\elsewhere", "data:text/html,x", "<b>", "proxy/8787"])
def test_what_is_no_page_of_the_web_or_of_this_server_is_text(address: str) -> None:
    """An address that somebody set to something else does nothing when it is clicked, because it cannot be."""
    assert "<a " not in shown(address)
    assert "<b>" not in shown(address)


def test_an_address_cannot_leave_its_link() -> None:
    """Quotes and tags in it stay text."""
    said = shown('/x" onclick="alert(1)"><img src=x>')

    assert "<img" not in said
    assert 'href="/x&quot; onclick=&quot;alert(1)&quot;&gt;' in said


def test_what_a_note_names_as_code_reads_as_code_and_nothing_else_becomes_markup() -> None:
    """Backticks are for texts; a page has a way of its own to say it."""
    listing = Listing("Cache", (), (), "`%flyte_cache clear [TASK]` drops <b>them</b> and `<i>`.")

    html = listing._repr_html_()

    assert "<code>%flyte_cache clear [TASK]</code> drops &lt;b&gt;them&lt;/b&gt; and <code>&lt;i&gt;</code>." in html
    assert repr(listing) == "Cache\n`%flyte_cache clear [TASK]` drops <b>them</b> and `<i>`."
