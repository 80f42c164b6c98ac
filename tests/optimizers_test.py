import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose.train import optimizers

pytestmark = pytest.mark.numeric


def test_ranger_retraces_the_published_trajectory(golden):
  data = np.load(golden / "ranger.npz")
  lr = jnp.asarray(data["lr"], jnp.float32)
  tx = optimizers.ranger(lambda step: lr[step])
  params = {k: jnp.asarray(data[f"init/{k}"]) for k in "ab"}
  state = tx.init(params)

  @jax.jit
  def step(params, state, grads):
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  for i in range(len(lr)):
    params, state = step(params, state, {k: data[f"grad/{k}"][i] for k in "ab"})
    for k in "ab":
      np.testing.assert_allclose(params[k], data[f"param/{k}"][i], atol=4e-7, rtol=0)
  for k in "ab":
    np.testing.assert_allclose(state.mu[k], data[f"final_exp_avg/{k}"], atol=4e-7)
    np.testing.assert_allclose(state.nu[k], data[f"final_exp_avg_sq/{k}"], atol=4e-7)
    np.testing.assert_allclose(state.slow[k], data[f"final_slow/{k}"], atol=2e-6)


@pytest.mark.parametrize("b2", [0.9, 0.99, 0.999])
def test_average_length_keeps_float32_precision(b2):
  t = np.concatenate([np.arange(1, 200), [500, 999, 1000, 1001, 2000, 10000]])
  power = b2 ** t.astype(np.longdouble)
  exact = 2 / (1 - np.longdouble(b2)) - 1 - 2 * t * power / (1 - power)
  length = optimizers._average_length(jnp.asarray(t), b2)
  np.testing.assert_allclose(length, exact.astype(float), rtol=2e-6)


def test_ranger_takes_momentum_steps_before_it_rectifies():
  tx = optimizers.ranger(0.1)
  params = {"w": jnp.ones(3)}
  updates, _ = tx.update({"w": jnp.full(3, 2.0)}, tx.init(params), params)
  # Bias-corrected momentum of one gradient is that gradient; no division by its root.
  np.testing.assert_allclose(updates["w"], -0.2, rtol=1e-5)


def test_ranger_minimises_a_badly_scaled_quadratic():
  scale = jnp.asarray([1.0, 20.0])

  def loss(w):
    return (scale * (w - 1) ** 2).sum()

  tx = optimizers.ranger(0.02)
  w = jnp.asarray([3.0, -2.0])

  def step(carry, _):
    w, state = carry
    updates, state = tx.update(jax.grad(loss)(w), state, w)
    return (optax.apply_updates(w, updates), state), None

  (w, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, None, 3000))((w, tx.init(w)))
  np.testing.assert_allclose(w, 1.0, atol=2e-2)


def test_ranger_state_shares_no_buffer_with_the_parameters():
  tx = optimizers.ranger(0.1)
  params = {"w": jnp.ones(3)}
  state = tx.init(params)
  step = jax.jit(lambda p, s: tx.update(p, s, p), donate_argnums=(0, 1))
  step(params, state)
  assert state.slow["w"].is_deleted() or np.isfinite(state.slow["w"]).all()


def test_ranger_without_parameters_is_refused():
  tx = optimizers.ranger(0.1)
  state = tx.init(jnp.ones(2))
  with pytest.raises(ValueError, match="got params=None, expected the parameters"):
    tx.update(jnp.ones(2), state)


def test_schedules_equal_the_published_values(golden):
  data = np.load(golden / "schedules_80ep.npz")
  steps = 7 * jnp.arange(81)
  lr = optimizers.cosine_per_epoch(0.01, 1e-5, 80, 7)
  momentum = optimizers.bn_momentum_decay(0.1, 0.001, 80, 7)
  for schedule, key in [(lr, "lr"), (momentum, "bn_momentum")]:
    for offset in (0, 6):
      values = jax.jit(jax.vmap(schedule))(steps + offset)
      # float32: towards the end 1 + cos is a difference of like numbers.
      np.testing.assert_allclose(values, data[key], rtol=5e-5)
    np.testing.assert_allclose(schedule(7 * 500), data[key][80], rtol=2e-5)


def test_mpi3dhp_decay_halves_on_every_fifth_epoch():
  schedule = optimizers.mpi3dhp_decay(1e-3, 10)
  lr, expected = 1e-3, []
  for epoch in range(1, 50):
    expected.append(lr)
    lr *= 0.5 if epoch % 5 == 0 else 0.95
  values = jax.jit(jax.vmap(schedule))(10 * jnp.arange(49) + 9)
  np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_warmup_cosine_rises_then_falls():
  schedule = optimizers.build_schedule(
    "warmup_cosine", base=1.0, final=0.1, total_steps=100, warmup_steps=10
  )
  values = np.asarray([schedule(i) for i in (0, 5, 10, 55, 100, 200)])
  np.testing.assert_allclose(values, [0, 0.5, 1, 0.55, 0.1, 0.1], atol=1e-6)


@pytest.mark.parametrize("name", list(optimizers.OPTIMIZERS))
def test_every_optimizer_descends_under_jit(name):
  tx = optimizers.build(
    name, optimizers.build_schedule("constant", value=0.1), clip=1.0
  )
  params = {"w": jnp.asarray([2.0, -1.0])}

  @jax.jit
  def step(params, state):
    grads = jax.grad(lambda p: (p["w"] ** 2).sum())(params)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  state = tx.init(params)
  for _ in range(200):
    params, state = step(params, state)
  assert (params["w"] ** 2).sum() < 1


def test_clip_limits_the_global_norm():
  grads = {"a": jnp.asarray([3.0]), "b": jnp.asarray([4.0])}
  # Before it rectifies, ranger's first step is the clipped gradient itself.
  tx = optimizers.build("ranger", 1.0, clip=1.0)
  updates, _ = tx.update(grads, tx.init(grads), grads)
  np.testing.assert_allclose(updates["a"], -0.6, rtol=1e-5)
  np.testing.assert_allclose(updates["b"], -0.8, rtol=1e-5)


def test_unknown_names_are_refused_with_the_nearest():
  with pytest.raises(ValueError, match="unknown optimizer 'rangr'; nearest: ranger"):
    optimizers.build("rangr", 0.1)
  with pytest.raises(
    ValueError, match="unknown schedule 'cosine'; nearest: warmup_cos"
  ):
    optimizers.build_schedule("cosine")


@pytest.mark.parametrize(
  ("name", "epochs", "warmup"),
  [("table1_3dpw", 50, 5), ("table1_h36m_mpii3d", 75, 8), ("table2_3dpw", 80, 8)],
)
def test_warmup_cosine_per_epoch_is_glots(golden, name, epochs, warmup):
  published = np.load(golden.parent / "glot" / "lr_schedule.npz")[f"f64/{name}"]
  schedule = optimizers.build_schedule(
    "warmup_cosine_per_epoch",
    base=1e-4,
    final=1e-5,
    warmup_epochs=warmup,
    epochs=epochs,
    steps_per_epoch=7,
  )
  for within in (0, 6):
    found = [schedule(7 * epoch + within) for epoch in range(epochs)]
    np.testing.assert_allclose(found, published, rtol=5e-6)


def test_a_warmup_longer_than_the_run_is_refused():
  with pytest.raises(ValueError, match="got warmup_epochs=5 of epochs=5, expected"):
    optimizers.warmup_cosine_per_epoch(1e-4, 1e-5, 5, 5, 10)


def test_coupled_decay_goes_through_the_moments():
  """By hand: the first step of Adam has length lr wherever the gradient is not 0."""
  params = {"w": jnp.asarray([2.0, -3.0])}
  tx = optimizers.build("adam_l2", 0.1, weight_decay=0.5)
  updates, _ = tx.update({"w": jnp.asarray([-1.5, 0.0])}, tx.init(params), params)
  # Gradients with decay: -1.5 + 0.5 * 2 < 0 and 0.5 * -3 < 0.
  # 1 - 0.999, by which Adam divides, has five digits in float32.
  np.testing.assert_allclose(updates["w"], [0.1, 0.1], rtol=1e-4)


def test_parts_move_by_their_factors_and_the_others_as_they_did():
  params = dict(trunk=jnp.ones(3), head=dict(bias=jnp.ones(2)))
  grads = jax.tree.map(lambda p: 0.5 * p, params)
  plain = optimizers.build("adamw", 0.1, weight_decay=0.1)
  slowed = optimizers.with_factors(plain, dict(trunk=0.1))
  assert optimizers.with_factors(plain, {}) is plain
  (a, _), (b, _) = (tx.update(grads, tx.init(params), params) for tx in (plain, slowed))
  np.testing.assert_allclose(b["trunk"], 0.1 * a["trunk"], rtol=1e-6)
  np.testing.assert_array_equal(b["head"]["bias"], a["head"]["bias"])
  assert np.abs(a["trunk"]).min() > 0.01
  unknown = optimizers.with_factors(plain, dict(stem=0.1))
  with pytest.raises(
    ValueError, match="lr_factors with stem, expected parts of the mo"
  ):
    unknown.update(grads, unknown.init(params), params)
