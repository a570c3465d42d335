<?php
require __DIR__ . '/lib/page.php';
page('Home', '<a href="form.php">form</a> <a href="visits.php">visits</a> <a href="info.php">info</a>');
