import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from workbench.disclosure.propagation import tighten

EQUAL = sparse.csr_array([[1.0, -1, -1, 0, 0], [0, 1, 0, -1, -1]])
MOST = sparse.csr_array([[0.0, 0, -1, 1, 0]])

whole = st.integers(0, 40)


@given(whole, whole, st.integers(0, 40), st.lists(st.integers(0, 9), min_size=10, max_size=10))
def test_no_solution_is_lost(a, b, more, around):
    x = np.array([2 * a + b + more, a + b, a + more, a, b], float)
    assert not (EQUAL @ x).any()
    assert (MOST @ x <= 0).all()
    low, high = x - around[:5], x + around[5:]
    low[around[0] % 5], high[around[1] % 5] = -np.inf, np.inf
    narrower = tighten(EQUAL, MOST, low, high)
    assert (narrower[0] <= x + 1e-9).all()
    assert (narrower[1] >= x - 1e-9).all()
    assert (narrower[0] >= low).all()
    assert (narrower[1] <= high).all()


def test_a_bound_passes_over_several_rows():
    low = np.array([100.0, -np.inf, -np.inf, 30, 20])
    high = np.array([102.0, np.inf, np.inf, 35, 21])
    low, high = tighten(EQUAL, MOST, low, high)
    assert (low[1], high[1]) == (50, 56)
    assert (low[2], high[2]) == (44, 52)
