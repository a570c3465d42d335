<?php
error_log('said aside');
echo 'said';
