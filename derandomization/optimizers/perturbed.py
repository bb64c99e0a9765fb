"""Algorithm 1: perturbed gradient descent, as a ``torch.optim.Optimizer``."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from derandomization.checks import require_at_least, require_between, require_positive
from derandomization.expectations import standard_normal
from derandomization.hessian import Hessian
from derandomization.objective import DerandomizationObjective, require_exact
from derandomization.optimizers.base import GradientDescent, require_momentum, total_norm

ROUNDING = 1e-10  # a relative rise of f below this may be a rounding error


class PerturbedGradientDescent(GradientDescent):
    """x ← x − η∇f(x); where ‖∇f‖ is small, x ← x + ξ with ξ uniform in a ball (Algorithm 1).

    A step perturbs when the gradient norm is at most ``gradient_threshold`` and no step did in the
    last ``perturbation_interval`` steps. If f has not dropped by ``decrease_threshold`` at the end
    of the interval, the point before the perturbation is restored and ``terminated`` becomes True:
    with high probability it is second-order stationary. A step costs one closure, two when it
    perturbs, plus O(parameters).

    Args:
        params: parameters or groups; ``lr``, ``momentum`` and ``nesterov`` may differ by group.
            The perturbation moves all parameters jointly: its options come from the first group,
            but a group's ``perturbation_scales``, a tensor, multiplies the noise of its parameters.
        lr: η > 0.
        gradient_threshold: g_thres ≥ 0, on the scale of ‖∇f‖₂ over all parameters.
        perturbation_radius, perturbation_interval: r > 0, Euclidean; t_thres ≥ 1, in steps.
        decrease_threshold: f_thres; ``-math.inf`` never terminates, as a noisy f needs.
        momentum: 0 ≤ β < 1, heavy ball, or Nesterov's with ``nesterov``.
        restart: a rise of f clears the velocity, and halves every ``lr`` if f rises again in the
            next step: keeps steps stable while the curvature grows. Only for an exact f.
        generator: of the noise; torch's default if None. Bad arguments raise ``ValueError``.

    Reference: Jin et al., *How to Escape Saddle Points Efficiently*, ICML 2017, Algorithm 2.
    """

    saved = "careful num_steps perturbation_steps anchor_value last_value restarted terminated"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        gradient_threshold: float,
        perturbation_radius: float,
        perturbation_interval: int,
        decrease_threshold: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        restart: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        require_between("gradient_threshold", gradient_threshold, 0, math.inf)
        require_positive("perturbation_radius", perturbation_radius)
        require_at_least("perturbation_interval", perturbation_interval, 1)
        require_between("decrease_threshold", decrease_threshold, -math.inf, math.inf)
        super().__init__(
            params,
            lr,
            momentum=momentum,
            nesterov=nesterov,
            gradient_threshold=gradient_threshold,
            perturbation_radius=perturbation_radius,
            perturbation_interval=perturbation_interval,
            decrease_threshold=decrease_threshold,
            restart=restart,
        )
        self.generator = generator
        self.careful = False  # undo every rise; double the interval where ``lr`` is halved
        self.num_steps = 0
        self.perturbation_steps: list[int] = []
        self.anchor_value = math.inf
        self.last_value = math.inf
        self.restarted = False
        self.terminated = False

    @classmethod
    def from_theory(
        cls,
        params: Iterable[Tensor],
        *,
        smoothness: float,
        hessian_lipschitz: float,
        accuracy: float,
        failure_probability: float,
        value_gap: float,
        constant: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> "PerturbedGradientDescent":
        """With the parameters for which Jin et al. prove an ε-second-order point (Algorithm 2).

        Args:
            smoothness, hessian_lipschitz: ℓ of ∇f and ϱ of ∇²f, Lipschitz constants.
            accuracy, failure_probability: ε, the gradient norm wanted, and δ in (0, 1).
            value_gap: Δ_f ≥ f(x₀) − min f.
            constant: c, an absolute constant that the proof wants small.
        """
        params = list(params)
        dimension = sum(p.numel() for p in params)
        require_positive("smoothness", smoothness)
        require_positive("hessian_lipschitz", hessian_lipschitz)
        require_positive("accuracy", accuracy)
        require_positive("value_gap", value_gap)
        require_positive("constant", constant)
        if not 0 < failure_probability < 1:
            raise ValueError(
                f"failure_probability is {failure_probability}: it must lie between 0 and 1"
            )
        odds = dimension * smoothness * value_gap / (constant * accuracy**2 * failure_probability)
        chi = 3 * max(math.log(odds), 4)
        return cls(
            params,
            lr=constant / smoothness,
            gradient_threshold=math.sqrt(constant) / chi**2 * accuracy,
            perturbation_radius=math.sqrt(constant) / chi**2 * accuracy / smoothness,
            perturbation_interval=math.ceil(
                chi / constant**2 * smoothness / math.sqrt(hessian_lipschitz * accuracy)
            ),
            decrease_threshold=constant / chi**3 * math.sqrt(accuracy**3 / hessian_lipschitz),
            generator=generator,
        )

    @classmethod
    def for_objective(
        cls,
        objective: DerandomizationObjective,
        *,
        accuracy: float = 1e-6,
        momentum: float = 0.9,
        generator: torch.Generator | None = None,
    ) -> "PerturbedGradientDescent":
        """With settings that follow from an exact objective at its starting point.

        The step is 1/(2‖∇²f‖). A step that raises f is undone and made again without momentum; if
        it still raises f, it is halved and the interval doubled. Perturbations begin at
        ‖∇f‖ = 2λ·accuracy, where ‖W‖_F is about ``accuracy``, or at the rounding error of ∇f if
        that is larger. They move far enough for a curvature of −λ to exceed the rounding error of
        f, and their interval lets them grow along it by more than the square root of the dimension.

        Raises ``ValueError`` if f is sampled or not finite, or an argument is out of range.
        """
        require_exact(objective)
        require_positive("accuracy", accuracy)
        require_momentum(momentum)
        trainable = [p for p in objective.parameters() if p.requires_grad]
        if not trainable:
            raise ValueError("every parameter is frozen: nothing can be trained")
        regularization, epsilon = objective.regularization, torch.finfo(trainable[0].dtype).eps
        curvature = max(Hessian(objective, trainable).spectral_norm(), 2 * regularization)
        rate = 0.5 / curvature
        dimension = sum(p.numel() for p in trainable)
        growth = 2 * math.log(100 * dimension)  # a direction's share of the noise may be small
        patience = growth / (regularization * rate) + 3 / (1 - momentum) ** 2
        rounding = epsilon * max(abs(float(objective().detach())), regularization)
        size = max(1.0, total_norm([p.detach() for p in trainable]))
        radius = max(1e-3, min(math.sqrt(100 * rounding / regularization), size))
        optimizer = cls(
            trainable,
            lr=rate,
            gradient_threshold=max(2 * regularization * accuracy, 4 * epsilon * curvature * size),
            perturbation_radius=radius,
            perturbation_interval=math.ceil((1 - momentum) * patience),
            decrease_threshold=regularization * radius**2 / 2,
            momentum=momentum,
            nesterov=momentum > 0,
            restart=True,
            generator=generator,
        )
        optimizer.careful = True
        return optimizer

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step; returns f where the step began. Does nothing once ``terminated``.

        ``closure`` clears the gradients, evaluates f, calls ``backward`` and returns f.
        """
        with torch.enable_grad():
            value = closure().detach()
        if self.terminated:
            return value
        options = self.param_groups[0]
        if options["restart"]:
            value = self._restart_if_risen(value, closure)
        interval = options["perturbation_interval"]
        waited = self.num_steps - self.perturbation_steps[-1] if self.perturbation_steps else None
        if waited == interval:
            decrease = self.anchor_value - float(value)
            if decrease < options["decrease_threshold"]:
                for parameter in self._parameters():
                    parameter.copy_(self.state[parameter].get("anchor", parameter))
                self.terminated = True
                return value
        if waited is None or waited > interval:
            gradients = [p.grad for p in self._parameters() if p.grad is not None]
            if total_norm(gradients) <= options["gradient_threshold"]:
                self._perturb(float(value))
                with torch.enable_grad():
                    closure()
        self._descend()
        self.num_steps += 1
        return value

    def _restart_if_risen(self, value: Tensor, closure: Callable[[], Tensor]) -> Tensor:
        """Restart after a rise of f; returns f where the next step begins."""
        parameters = self._parameters()
        epsilon = torch.finfo(value.dtype).eps
        rounding = max(ROUNDING, 8 * epsilon) if self.careful else ROUNDING
        limit = self.last_value + rounding * abs(self.last_value)
        # Where the last value is not infinite, NaN counts as a rise.
        risen = float(value) > limit or (limit < math.inf and math.isnan(float(value)))
        if risen:
            for parameter in parameters:
                self.state[parameter].pop("velocity", None)
            for group in self.param_groups if self.restarted else []:
                group["lr"] *= 0.5
                group["perturbation_interval"] *= 2 if self.careful else 1
        if self.careful:
            if risen:
                for parameter in parameters:
                    parameter.copy_(self.state[parameter].get("previous", parameter))
                with torch.enable_grad():
                    value = closure().detach()
            for parameter in parameters:
                self.state[parameter]["previous"] = parameter.clone()
        self.restarted, self.last_value = risen, float(value)
        return value

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def _perturb(self, value: float) -> None:
        """Save the point and its value, then move to a uniform point of the ball around it."""
        parameters = self._parameters()
        noise = [standard_normal(*p.shape, generator=self.generator, like=p) for p in parameters]
        dimension = sum(p.numel() for p in parameters)
        device = self.generator.device if self.generator else None
        uniform = float(torch.rand((), generator=self.generator, device=device))
        length = self.param_groups[0]["perturbation_radius"] * uniform ** (1 / dimension)
        scale = length / total_norm(noise)
        groups = [g for g in self.param_groups for p in g["params"] if p.requires_grad]
        for parameter, direction, group in zip(parameters, noise, groups, strict=True):
            self.state[parameter]["anchor"] = parameter.clone()
            parameter.add_(direction * group.get("perturbation_scales", 1.0), alpha=scale)
        self.anchor_value = value
        self.last_value = math.inf  # do not count the increase of f by the noise as a rise
        self.perturbation_steps.append(self.num_steps)

    def state_dict(self) -> dict[str, Any]:
        """Everything that another process needs to continue, the generator's state included."""
        state = self.generator.get_state() if self.generator else None
        return {**super().state_dict(), "generator": state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        super().load_state_dict(state_dict)
        if self.generator is not None and state_dict["generator"] is not None:
            self.generator.set_state(state_dict["generator"])
