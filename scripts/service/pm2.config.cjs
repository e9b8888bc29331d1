// pm2 start scripts/service/pm2.config.cjs
module.exports = {
  apps: [
    {
      name: "edgemaxx-validator",
      script: "edgemaxx",
      interpreter: "none",
      args: "validator run --contest contest.toml --netuid 39 --wallet.name validator --wallet.hotkey default --log-json",
      kill_timeout: 240000, // the request in flight is finished and recorded
      restart_delay: 30000,
      stop_exit_codes: [2], // bad input does not become better by itself
    },
  ],
};
