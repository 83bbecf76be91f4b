"""What may happen to a lease: pauses, lives, upstream's wishes, luck."""

import math

from hypothesis import strategies as st

DAY = 86_400.0

jitters = st.sampled_from([-1.0, -0.5, 0.0, 0.7, 1.0])
pauses = st.one_of(
    st.sampled_from([0.0, 0.5, 2.0, 15.0, 29.0, 31.0, 100.0, 900.0, 3569.0, 3571.0, 2 * DAY]), st.floats(0, 4000)
)
mint_times = st.sampled_from([0.0, 0.2, 3.0, 20.0, 400.0, 4000.0])  # a machine may sleep in the middle of a mint
lifetimes = st.one_of(st.sampled_from([3600.0, 900.0, 90.0, 43_200.0]), st.floats(1, 50_000))
nonsense = st.sampled_from([-5.0, 0.0, 29.0, 30.0, 32.0, 401 * DAY, math.inf, math.nan])
patience = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 7.0, 120.0, 86_400.0]))
shares = st.sampled_from([0.0, 0.5, 1.0])
