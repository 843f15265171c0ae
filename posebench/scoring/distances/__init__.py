"""Scores by the distance of keypoints from their labels, as MMPose defines them."""
