from jaxpose.predict.live import Numbers


def test_rates_and_delays_are_told():
  numbers = Numbers(25.0, 13)
  assert numbers.text() == "0 pictures were taken."
  for i in range(0, 101, 2):
    numbers.add(i, 10 + i / 25, 10 + i / 25 + (0.1 if i == 100 else 0.04))
  assert numbers.began == 10
  assert numbers.span.tolist() == [4.0, 100]
  assert numbers.text() == (
    "101 pictures came in 4.0 s (25.0 a second); 51 were taken (12.5 a second), 50 "
    "left out. Keypoints and pose were there 40 ms after a picture came (median; "
    "95 %: 40 ms). The pose is of 13 pictures before, for which these weights answer: "
    "it is 560 ms old."
  )


def test_causal_weights_add_nothing():
  numbers = Numbers(25, 0)
  for i in range(3):
    numbers.add(i, i / 25, i / 25 + 0.02)
  assert numbers.text().endswith("(median; 95 %: 20 ms).")
